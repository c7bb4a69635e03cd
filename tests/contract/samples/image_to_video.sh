curl -X POST "http://localhost:8000/v1/videos/transform" \
  -H "Authorization: Bearer han1234" \
  -H "Content-Type: application/json" \
  -d '{
    "prompt": "这只猫在跳舞",
    "image": "data:image/png;base64,iVBORw0KGgoAAAANS...",
    "model": "sora2-landscape-10s",
    "style": "anime",
    "stream": true
  }'
