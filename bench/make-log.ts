/** `bench/make-log LOG TO [--mb 500] [--times-faster N]`: the long logs of bench/run, to keep. */
import { parseArgs } from 'node:util'
import { makeLongLog } from './copies.ts'
import { numberOf, stop } from './measure.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { mb: { type: 'string', default: '500' }, 'times-faster': { type: 'string' } },
})
const [from, to, ...others] = positionals
if (from === undefined || to === undefined || others.length > 0) {
  stop('from what, to where? bench/make-log LOG TO [--mb 500] [--times-faster 8]')
}
const faster = values['times-faster']
const { records, copies } = await makeLongLog(from, to, {
  bytes: numberOf('mb', values.mb, 0) * 1e6,
  ...(faster === undefined ? {} : { busy: { timesFaster: numberOf('times-faster', faster, 1) } }),
})
console.log(`${records} records in ${copies} copies`)
