import requests
import base64

# 读取图片并编码为 Base64
with open("image.png", "rb") as f:
    image_data = base64.b64encode(f.read()).decode("utf-8")

response = requests.post(
    "http://localhost:8000/v1/images/transform",
    headers={
        "Authorization": "Bearer han1234",
        "Content-Type": "application/json"
    },
    json={
        "prompt": "将这张图片变成油画风格",
        "image": f"data:image/png;base64,{image_data}",
        "model": "gpt-image",
        "stream": True
    },
    stream=True
)

for line in response.iter_lines():
    if line:
        print(line.decode("utf-8"))
