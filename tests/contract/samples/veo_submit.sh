curl -X POST "/v2/videos/generations" \
  -H "Authorization: Bearer <API-Key>" \
  -H "Content-Type: application/json" \
  -d '{
    "prompt": "A cat surfing in sunset, cinematic",
    "model": "veo3"
  }'
