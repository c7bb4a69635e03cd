#!/bin/bash

API_KEY="sk-your-api-key-here"
BASE_URL="https://api.apiyi.com/v1/videos"

# 第一步：提交请求
response=$(curl -s -X POST "$BASE_URL" \
    -H "Authorization: $API_KEY" \
    -F "prompt=视频描述" \
    -F "model=sora-2" \
    -F "size=1280x720" \
    -F "seconds=10" \
    -F "input_reference=@image.png")

video_id=$(echo "$response" | grep -o '"id":"[^"]*"' | cut -d'"' -f4)

# 第二步：轮询状态
while true; do
    response=$(curl -s -X GET "$BASE_URL/$video_id" \
        -H "Authorization: $API_KEY")

    status=$(echo "$response" | grep -o '"status":"[^"]*"' | cut -d'"' -f4)

    if [ "$status" = "completed" ]; then
        break
    elif [ "$status" = "failed" ]; then
        exit 1
    fi

    sleep 30
done

# 第三步：下载视频
curl -X GET "$BASE_URL/$video_id/content" \
    -H "Authorization: $API_KEY" \
    -o video.mp4
