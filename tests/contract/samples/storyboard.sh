curl -X POST "http://localhost:8000/v1/videos/storyboard" \
  -H "Authorization: Bearer han1234" \
  -H "Content-Type: application/json" \
  -d '{
    "prompt": "[5.0s]猫猫从飞机上跳伞 [5.0s]猫猫降落 [10.0s]猫猫在田野奔跑",
    "model": "sora2-landscape-10s",
    "stream": true
  }'
