#!/usr/bin/env python3
# -*- coding: utf-8 -*-
"""
Sora 2 文生视频 API - Python SDK
根据文字描述生成视频，实时显示生成进度

依赖安装: pip install requests

使用方法:
1. 设置 API_KEY 或直接在代码不填写
2. 调用 generate_video() 函数
3. 获取生成的视频URL链接并自行保存（视频仅保留1天）

作者: API易
文档: https://docs.apiyi.com
"""

import requests
import json
import re
import os


def generate_video(prompt, api_key=None, model="sora_video2"):
    """
    文生视频 - 根据文字描述生成视频
    
    参数:
        prompt (str): 视频生成提示词
        api_key (str): API易的密钥，如不提供则从环境变量 API_KEY 读取
        model (str): 模型名称，可选值:
            - sora_video2 (默认，竖屏 704×1280, 10s)
            - sora_video2-landscape (横屏 1280×704, 10s)
            - sora_video2-15s (竖屏 704×1280, 15s)
            - sora_video2-landscape-15s (横屏 1280×704, 15s)
    
    返回:
        str: 视频URL链接，失败返回 None
    
    示例:
        >>> video_url = generate_video("A happy cat playing in the garden")
        >>> print(video_url)
    """
    if api_key is None:
        api_key = os.getenv("API_KEY")
    
    if not api_key:
        raise ValueError("请设置 API_KEY 环境变量或传入 api_key 参数")
    
    url = "https://api.apiyi.com/v1/chat/completions"
    headers = {
        "Authorization": f"Bearer {api_key}",
        "Content-Type": "application/json"
    }
    
    data = {
        "model": model,
        "stream": True,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "text",
                        "text": prompt
                    }
                ]
            }
        ]
    }
    
    print(f"𐟬 开始生成视频...")
    print(f"𐟓 提示词: {prompt}")
    print(f"𐟯 模型: {model}\n")
    
    try:
        response = requests.post(url, headers=headers, json=data, stream=True, timeout=600)
        response.raise_for_status()
    except requests.exceptions.RequestException as e:
        print(f"❌ 请求失败: {e}")
        return None
    
    video_url = None
    error_message = None
    
    # 解析流式输出
    try:
        for line in response.iter_lines():
            if line:
                line = line.decode('utf-8')
                if line.startswith('data: '):
                    data_str = line[6:]  # 移除 'data: ' 前缀
                    if data_str == '[DONE]':
                        break
                    
                    try:
                        data_json = json.loads(data_str)
                        content = data_json.get('choices', [{}])[0].get('delta', {}).get('content', '')
                        
                        if content:
                            # 打印进度信息
                            if '进度' in content or '队列' in content or '成功' in content:
                                print(content.strip())
                            
                            # 检查错误信息
                            if 'error' in content.lower() or '失败' in content or '错误' in content:
                                error_message = content.strip()
                                print(f"⚠ {error_message}")
                            
                            # 提取视频链接
                            if '视频生成成功' in content:
                                # 正则提取 markdown 链接中的 URL
                                match = re.search(r'\[点击这里\]\((https?://[^\)]+)\)', content)
                                if match:
                                    video_url = match.group(1)
                    except json.JSONDecodeError:
                        continue
    
    except requests.exceptions.ChunkedEncodingError as e:
        print(f"\n⚠ 连接不断: {str(e)}")
        print("💡 可能原因:")
        print(" 1. 内容审核未通过（真实人脸、敏感内容等）")
        print(" 2. 服务器端生成失败")
        print(" 3. 网络连接不稳定")
        print("\n建议:")
        print(" - 修改提示词，避免真实人物、敏感内容描述")
        print(" - 稍后重试")
        return None
    
    except Exception as e:
        print(f"\n❌ 处理流式输出时发生错误: {e}")
        return None
    
    if video_url:
        print(f"\n✅ 视频生成完成！")
        print(f"🔗 视频链接: {video_url}")
        print(f"⚠ 重要提示: 视频链接仅保留 1 天，请立即下载保存到本地！")
        return video_url
    else:
        print("\n❌ 未能获取视频链接")
        return None


def download_video(video_url, save_path="./sora_video.mp4"):
    """
    下载视频到本地
    
    参数:
        video_url (str): 视频URL链接
        save_path (str): 保存路径，默认为当前目录下的 sora_video.mp4
    
    返回:
        bool: 下载成功返回 True，失败返回 False
    """
    try:
        print(f"\n📥 开始下载视频...")
        response = requests.get(video_url, stream=True, timeout=60)
        response.raise_for_status()
        
        with open(save_path, 'wb') as f:
            for chunk in response.iter_content(chunk_size=8192):
                f.write(chunk)
        
        print(f"✅ 视频已保存到: {save_path}")
        return True
    except Exception as e:
        print(f"❌ 下载失败: {e}")
        return False


# ==================== 使用示例 ====================
if __name__ == "__main__":
    # 设置你的 API Key
    API_KEY = "sk-"  # 替换为你的 apiyi 按次计费的密钥
    
    print("=" * 60)
    print("Sora 2 文生视频示例")
    print("=" * 60)
    
    # 示例1: 基础使用 - 生成竖屏视频（10s）
    prompt = "A happy cat playing with a ball in a sunny garden"
    video_url = generate_video(prompt, api_key=API_KEY, model="sora_video2")
    
    # 自动下载视频到本地
    if video_url:
        download_video(video_url, save_path="./cat_playing.mp4")
    
    # 示例2: 生成横屏视频（10s）
    # prompt2 = "A wide landscape view of mountains and lakes"
    # video_url2 = generate_video(prompt2, api_key=API_KEY, model="sora_video2-landscape")
    # if video_url2:
    #     download_video(video_url2, save_path="./landscape.mp4")
    
    # 示例3: 生成竖屏视频（15s）
    # prompt3 = "A futuristic city at sunset with flying cars"
    # video_url3 = generate_video(prompt3, api_key=API_KEY, model="sora_video2-15s")
    # if video_url3:
    #     download_video(video_url3, save_path="./futuristic_city_15s.mp4")
    
    # 示例4: 生成横屏视频（15s）
    # prompt4 = "A cinematic scene of ocean waves crashing on a beach"
    # video_url4 = generate_video(prompt4, api_key=API_KEY, model="sora_video2-landscape-15s")
    # if video_url4:
    #     download_video(video_url4, save_path="./ocean_waves_15s.mp4")
