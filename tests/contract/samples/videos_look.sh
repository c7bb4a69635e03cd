curl -X GET "https://api.apiyi.com/v1/videos/video_abc123def456" \
  -H "Authorization: sk-your-api-key-here"
