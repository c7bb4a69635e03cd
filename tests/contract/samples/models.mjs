var myHeaders = new Headers();
myHeaders.append("Authorization", "Bearer {{YOUR_API_KEY}}");
var requestOptions = {
   method: 'GET',
   headers: myHeaders,
   redirect: 'follow'
};
fetch("{{BASE_URL}}/v1/models", requestOptions)
   .then(response => response.text())
   .then(result => console.log(result))
   .catch(error => console.log('error', error));
