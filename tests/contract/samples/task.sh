curl -X GET "http://localhost:8000/v1/tasks/task_xxx" \
  -H "Authorization: Bearer han1234"
