// The official TypeScript client, driven by lines of JSON: a request a line on
// stdin, an answer, an error or an event a line on stdout. The one argument is
// the folder of the installed packages.
import { createInterface } from 'node:readline'

const sdk = `${process.argv[2]}/@modelcontextprotocol/sdk/dist/esm`
const { Client } = await import(`${sdk}/client/index.js`)
const { StreamableHTTPClientTransport } = await import(`${sdk}/client/streamableHttp.js`)
const { ToolListChangedNotificationSchema } = await import(`${sdk}/types.js`)

const say = line => process.stdout.write(JSON.stringify(line) + '\n')

const client = new Client({ name: 'typescript-peer', version: '1.0.0' })
client.setNotificationHandler(ToolListChangedNotificationSchema, () => say({ event: 'list_changed' }))

const actions = {
  connect: ({ url, token }) =>
    client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${token}` } } })),
  tools: () => client.listTools(),
  resources: () => client.listResources(),
  read: ({ uri }) => client.readResource({ uri }),
  call: ({ name, arguments: args }) =>
    client.callTool({ name, arguments: args }, undefined, { onprogress: () => say({ event: 'progress' }) }),
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  try {
    say({ answer: (await actions[request.do](request)) ?? {} })
  } catch (error) {
    say({ error: { code: error.code ?? 0, message: error.message } })
  }
}
await client.close()
