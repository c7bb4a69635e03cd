import requests

response = requests.post(
    "http://localhost:8000/v1/images/generate",
    headers={
        "Authorization": "Bearer han1234",
        "Content-Type": "application/json"
    },
    json={
        "prompt": "一只可爱的小猫咪",
        "model": "gpt-image",
        "stream": True
    },
    stream=True
)

for line in response.iter_lines():
    if line:
        print(line.decode("utf-8"))
