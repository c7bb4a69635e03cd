// The official SDK, or ours in its place, against the gateway that the test names; what a script finds goes out as JSON.
export const { default: OpenAI, toFile } = await import(process.env.SDK ?? "openai");
export const client = new OpenAI({
  baseURL: process.env.GATEWAY,
  apiKey: process.env.GATEWAY_KEY,
  maxRetries: Number(process.env.RETRIES ?? 0),
});
export const small = { seconds: "1", size: "320x180" };

export async function ended(id) {
  for (;;) {
    const video = await client.videos.retrieve(id);
    if (!["queued", "in_progress"].includes(video.status)) return video;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function base64(response) {
  return Buffer.from(await response.arrayBuffer()).toString("base64");
}

export function report(found) {
  process.stdout.write(JSON.stringify(found));
}
