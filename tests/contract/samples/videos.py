import requests
import time

API_KEY = "sk-your-api-key-here"
BASE_URL = "https://api.apiyi.com/v1/videos"

# 第一步：提交请求
def submit_request():
    with open('image.png', 'rb') as f:
        files = {'input_reference': f}
        data = {
            'prompt': '视频描述',
            'model': 'sora-2',
            'size': '1280x720',
            'seconds': '10'
        }
        headers = {'Authorization': API_KEY}

        response = requests.post(BASE_URL, headers=headers, data=data, files=files)
        return response.json()['id']

# 第二步：轮询状态
def poll_status(video_id):
    headers = {'Authorization': API_KEY}

    while True:
        response = requests.get(f"{BASE_URL}/{video_id}", headers=headers)
        result = response.json()

        if result['status'] == 'completed':
            return True
        elif result['status'] == 'failed':
            return False

        time.sleep(30)

# 第三步：下载视频
def download_video(video_id):
    headers = {'Authorization': API_KEY}
    response = requests.get(f"{BASE_URL}/{video_id}/content", headers=headers)

    with open('video.mp4', 'wb') as f:
        f.write(response.content)

# 完整流程
video_id = submit_request()
if poll_status(video_id):
    download_video(video_id)
