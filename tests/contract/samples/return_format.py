import requests

# 非流式调用
response = requests.post(
    'https://your-api.com/v1/chat/completions',
    headers={
        'Authorization': 'Bearer YOUR_API_KEY',
        'Content-Type': 'application/json'
    },
    json={
        'model': 'sora-1.0',
        'messages': [{'role': 'user', 'content': 'A cat playing piano'}],
        'stream': False
    }
)

result = response.json()
video_url = result['choices'][0]['message']['content']
print(f'Video URL: {video_url}')
