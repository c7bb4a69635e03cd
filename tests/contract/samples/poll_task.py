import requests
import time

def poll_task_status(task_id, max_wait=300, interval=5):
    """轮询任务状态直到完成或超时"""
    start_time = time.time()
    
    while time.time() - start_time < max_wait:
        response = requests.get(
            f"http://localhost:8000/v1/tasks/{task_id}",
            headers={"Authorization": "Bearer han1234"}
        )
        
        task = response.json()
        status = task["status"]
        progress = task["progress"]
        
        print(f"任务状态: {status}, 进度: {progress}%")
        
        if status == "completed":
            print(f"任务完成！结果: {task['result_urls']}")
            return task
        elif status == "failed":
            print(f"任务失败: {task.get('error_message', 'Unknown error')}")
            return task
        
        time.sleep(interval)
    
    print("轮询超时")
    return None

# 使用示例
task_id = "task_xxx"
result = poll_task_status(task_id)
