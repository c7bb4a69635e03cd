import requests
import time

# 1. 提交任务（异步模式）
response = requests.post(
    "http://localhost:8000/v1/videos/generate",
    headers={
        "Authorization": "Bearer han1234",
        "Content-Type": "application/json"
    },
    json={
        "prompt": "一只小猫在草地上奔跑",
        "model": "sora2-landscape-10s",
        "async_mode": True  # 可用异步模式
    }
)

result = response.json()
task_id = result["task_id"]
print(f"任务已提交，task_id: {task_id}")

# 2. 轮询任务状态
while True:
    status_response = requests.get(
        f"http://localhost:8000/v1/tasks/{task_id}",
        headers={"Authorization": "Bearer han1234"}
    )
    
    task = status_response.json()
    
    if task["status"] == "completed":
        print(f"任务完成！结果: {task['result_urls']}")
        break
    elif task["status"] == "failed":
        print(f"任务失败: {task.get('error_message')}")
        break
    else:
        print(f"处理不... 进度: {task['progress']}%")
        time.sleep(5)  # 息5秒查询一次
