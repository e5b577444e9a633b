// Sends documents with Elasticsearch's own client.
//
//     elasticsearch.mjs URL [TOKEN]     documents as JSON on standard input; prints what the client says

import { createRequire } from 'node:module'
import { json } from 'node:stream/consumers'
import { Client } from '@elastic/elasticsearch'

const [node, token] = process.argv.slice(2)
const said = { version: createRequire(import.meta.url)('@elastic/elasticsearch/package.json').version }
const client = new Client({ node, compression: true, auth: token && { username: 'any', password: token } })
try {
  const documents = await json(process.stdin)
  const info = await client.info()
  said.number = info.version.number
  said.ping = await client.ping()
  const dropped = []
  const result = await client.helpers.bulk({
    datasource: documents,
    flushBytes: 1000,
    onDocument: () => ({ create: { _index: 'logs' } }),
    onDrop: (item) => dropped.push(item.status)
  })
  Object.assign(said, { stored: result.successful, failed: result.failed, dropped })
  const answer = await client.bulk({ operations: [{ delete: { _index: 'logs', _id: '1' } }] })
  said.deleted = answer.items[0].delete.status
} catch (error) {
  said.error = [error.name, error.statusCode, error.body?.error?.type ?? error.message]
}
console.log(JSON.stringify(said))
