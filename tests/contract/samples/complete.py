import requests
import base64
import json

API_BASE = "http://localhost:8000"
API_KEY = "han1234"

headers = {
    "Authorization": f"Bearer {API_KEY}",
    "Content-Type": "application/json"
}

# 1. 文生图
def generate_image(prompt, model="gpt-image"):
    response = requests.post(
        f"{API_BASE}/v1/images/generate",
        headers=headers,
        json={
            "prompt": prompt,
            "model": model,
            "stream": True
        },
        stream=True
    )
    
    for line in response.iter_lines():
        if line:
            data = line.decode("utf-8")
            if data.startswith("data: "):
                chunk = json.loads(data[6:])
                if chunk.get("choices") and chunk["choices"][0].get("delta", {}).get("content"):
                    print(chunk["choices"][0]["delta"]["content"], end="", flush=True)
            elif data == "data: [DONE]":
                print("\n完成！")
                break

# 2. 图生图
def transform_image(prompt, image_path, model="gpt-image"):
    with open(image_path, "rb") as f:
        image_data = base64.b64encode(f.read()).decode("utf-8")
    
    response = requests.post(
        f"{API_BASE}/v1/images/transform",
        headers=headers,
        json={
            "prompt": prompt,
            "image": f"data:image/png;base64,{image_data}",
            "model": model,
            "stream": True
        },
        stream=True
    )
    
    for line in response.iter_lines():
        if line:
            data = line.decode("utf-8")
            if data.startswith("data: "):
                chunk = json.loads(data[6:])
                if chunk.get("choices") and chunk["choices"][0].get("delta", {}).get("content"):
                    print(chunk["choices"][0]["delta"]["content"], end="", flush=True)
            elif data == "data: [DONE]":
                print("\n完成！")
                break

# 3. 文生视频
def generate_video(prompt, model="sora2-landscape-10s", style=None):
    payload = {
        "prompt": prompt,
        "model": model,
        "stream": True
    }
    if style:
        payload["style"] = style
    
    response = requests.post(
        f"{API_BASE}/v1/videos/generate",
        headers=headers,
        json=payload,
        stream=True
    )
    
    for line in response.iter_lines():
        if line:
            data = line.decode("utf-8")
            if data.startswith("data: "):
                chunk = json.loads(data[6:])
                if chunk.get("choices") and chunk["choices"][0].get("delta", {}).get("content"):
                    print(chunk["choices"][0]["delta"]["content"], end="", flush=True)
            elif data == "data: [DONE]":
                print("\n完成！")
                break

# 使用示例
if __name__ == "__main__":
    # 文生图
    print("生成图片...")
    generate_image("一只可爱的小猫咪")
    
    # 图生图
    print("\n变换图片...")
    transform_image("将这张图片变成油画风格", "input.png")
    
    # 文生视频（带风格）
    print("\n生成视频...")
    generate_video("一只小猫在草地上奔跑", style="anime")
