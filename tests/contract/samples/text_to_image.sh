curl -X POST "http://localhost:8000/v1/images/generate" \
  -H "Authorization: Bearer han1234" \
  -H "Content-Type: application/json" \
  -d '{
    "prompt": "一只可爱的小猫咪",
    "model": "gpt-image",
    "stream": true
  }'
