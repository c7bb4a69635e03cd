"""Alibaba's DashScope (Model Studio): Wan and HappyHorse videos, Wan and Qwen pictures."""
