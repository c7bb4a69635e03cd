import requests
import base64

# 读取视频文件并编码为 Base64
with open("video.mp4", "rb") as f:
    video_data = base64.b64encode(f.read()).decode("utf-8")

response = requests.post(
    "http://localhost:8000/v1/characters/generate",
    headers={
        "Authorization": "Bearer han1234",
        "Content-Type": "application/json"
    },
    json={
        "prompt": "角色做一个跳舞的动作",
        "video": f"data:video/mp4;base64,{video_data}",
        "model": "sora2-landscape-10s",
        "stream": True
    },
    stream=True
)

for line in response.iter_lines():
    if line:
        print(line.decode("utf-8"))
