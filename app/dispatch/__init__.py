"""Dispatch: which job runs when and on which worker, behind one port for tasks and webhook deliveries."""
