const axios = require('axios');
const fs = require('fs');
const FormData = require('form-data');

const API_KEY = 'sk-your-api-key-here';
const BASE_URL = 'https://api.apiyi.com/v1/videos';

// 第一步：提交请求
async function submitRequest() {
    const formData = new FormData();
    formData.append('prompt', '视频描述');
    formData.append('model', 'sora-2');
    formData.append('size', '1280x720');
    formData.append('seconds', '10');
    formData.append('input_reference', fs.createReadStream('image.png'));

    const response = await axios.post(BASE_URL, formData, {
        headers: {
            ...formData.getHeaders(),
            'Authorization': API_KEY
        }
    });

    return response.data.id;
}

// 第二步：轮询状态
async function pollStatus(videoId) {
    while (true) {
        const response = await axios.get(`${BASE_URL}/${videoId}`, {
            headers: { 'Authorization': API_KEY }
        });

        if (response.data.status === 'completed') return true;
        if (response.data.status === 'failed') return false;

        await new Promise(resolve => setTimeout(resolve, 30000));
    }
}

// 第三步：下载视频
async function downloadVideo(videoId) {
    const response = await axios.get(`${BASE_URL}/${videoId}/content`, {
        headers: { 'Authorization': API_KEY },
        responseType: 'stream'
    });

    const writer = fs.createWriteStream('video.mp4');
    response.data.pipe(writer);

    return new Promise((resolve, reject) => {
        writer.on('finish', resolve);
        writer.on('error', reject);
    });
}

// 完整流程
(async () => {
    const videoId = await submitRequest();
    if (await pollStatus(videoId)) {
        await downloadVideo(videoId);
    }
})();
