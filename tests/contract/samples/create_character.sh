curl -X POST "http://localhost:8000/v1/characters/create" \
  -H "Authorization: Bearer han1234" \
  -H "Content-Type: application/json" \
  -d '{
    "video": "data:video/mp4;base64,AAAAIGZ0eXBpc29t...",
    "stream": true
  }'
