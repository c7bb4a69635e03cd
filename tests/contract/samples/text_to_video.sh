curl -X POST "http://localhost:8000/v1/videos/generate" \
  -H "Authorization: Bearer han1234" \
  -H "Content-Type: application/json" \
  -d '{
    "prompt": "一只小猫在草地上奔跑",
    "model": "sora2-landscape-10s",
    "style": "anime",
    "stream": true
  }'
