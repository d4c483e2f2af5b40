// An app on Slack's own library: it answers mentions, direct messages, a button,
// reactions and a slash command, so that the test sees what it understood.
const { App } = require("@slack/bolt");

const app = new App({
  token: process.env.BOT_TOKEN,
  appToken: process.env.APP_TOKEN,
  socketMode: true,
  clientOptions: { slackApiUrl: process.env.API, retryConfig: { retries: 0 } },
});

app.event("app_mention", async ({ event, say, client }) => {
  await client.reactions.add({ channel: event.channel, timestamp: event.ts, name: "eyes" });
  const thread = await client.conversations.replies({ channel: event.channel, ts: event.ts });
  const user = await client.users.info({ user: event.user });
  await say({ text: `${user.user.real_name} mentioned it among ${thread.messages.length}`, thread_ts: event.ts });
});

app.message(async ({ message, say }) => {
  if (message.channel_type !== "im") return;
  await say({
    text: `heard ${message.text}`,
    blocks: [
      { type: "section", text: { type: "mrkdwn", text: `heard ${message.text}` } },
      { type: "actions", elements: [{ type: "button", action_id: "press", value: "7", text: { type: "plain_text", text: "Press" } }] },
    ],
    metadata: { event_type: "bolt", event_payload: { id: "1" } },
  });
});

app.action("press", async ({ ack, body, action, client }) => {
  await ack();
  const page = await client.conversations.history({ channel: body.channel.id, limit: 1, include_all_metadata: true });
  await client.chat.update({ channel: body.channel.id, ts: body.message.ts, text: `pressed ${action.value} ${page.messages[0].metadata.event_type}`, blocks: [] });
});

app.event("reaction_added", async ({ event, client }) => {
  if (event.user === process.env.SELF) return;
  await client.chat.postMessage({ channel: event.item.channel, thread_ts: event.item.ts, text: `felt ${event.reaction}` });
});

app.command("/phantom", async ({ command, ack, client }) => {
  await ack();
  await client.chat.postMessage({ channel: command.channel_id, text: `commanded by ${command.user_id}` });
});

app.start().then(
  () => console.log("ready"),
  (error) => {
    console.log(`refused: ${error.data ? error.data.error : error.message}`);
    process.exit(3);
  },
);
