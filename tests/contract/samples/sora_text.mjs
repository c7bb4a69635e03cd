var myHeaders = new Headers();
myHeaders.append("Authorization", "Bearer {{YOUR_API_KEY}}");
myHeaders.append("Content-Type", "application/json");
var raw = JSON.stringify({
   "prompt": "make animate",
   "model": "sora-2",
   "aspect_ratio": "16:9",
   "hd": false,
   "duration": "10"
});
var requestOptions = {
   method: 'POST',
   headers: myHeaders,
   body: raw,
   redirect: 'follow'
};
fetch("/v2/videos/generations", requestOptions)
   .then(response => response.text())
   .then(result => console.log(result))
   .catch(error => console.log('error', error));
