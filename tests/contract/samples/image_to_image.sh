curl -X POST "http://localhost:8000/v1/images/transform" \
  -H "Authorization: Bearer han1234" \
  -H "Content-Type: application/json" \
  -d '{
    "prompt": "将这张图片变成油画风格",
    "image": "data:image/png;base64,iVBORw0KGgoAAAANS...",
    "model": "gpt-image",
    "stream": true
  }'
