curl -X POST "https://api.apiyi.com/v1/videos" \
  -H "Authorization: sk-your-api-key-here" \
  -H "Accept: application/json" \
  -F "prompt=参考配图，使得动物们活跃起来，在场地里绕场一周的追逐" \
  -F "model=sora-2" \
  -F "size=1280x720" \
  -F "seconds=10" \
  -F "input_reference=@/path/to/image.png"
