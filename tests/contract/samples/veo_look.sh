curl -X GET "/v2/videos/generations/{task_id}" \
  -H "Authorization: Bearer <API-Key>"
