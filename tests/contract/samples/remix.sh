curl -X POST "http://localhost:8000/v1/videos/remix" \
  -H "Authorization: Bearer han1234" \
  -H "Content-Type: application/json" \
  -d '{
    "prompt": "改成水墨画风格",
    "remix_target_id": "s_68e3a06dcd888191b150971da152c1f5",
    "model": "sora2-landscape-10s",
    "style": "retro",
    "stream": true
  }'
