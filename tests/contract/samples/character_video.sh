curl -X POST "http://localhost:8000/v1/characters/generate" \
  -H "Authorization: Bearer han1234" \
  -H "Content-Type: application/json" \
  -d '{
    "prompt": "角色做一个跳舞的动作",
    "video": "data:video/mp4;base64,AAAAIGZ0eXBpc29t...",
    "model": "sora2-landscape-10s",
    "stream": true
  }'
