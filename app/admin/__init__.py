"""The panel's side: `/admin/api`, who may use it, and the files of the panel itself."""
