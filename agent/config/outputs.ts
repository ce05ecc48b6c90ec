import { z } from 'zod'
import { SeverityName } from './alerts.ts'

const from = (severity: z.infer<typeof SeverityName>): ReturnType<typeof SeverityName.default> =>
  SeverityName.default(severity).describe('gravity from which something is told here')

/** Section `outputs`. */
export const OutputsConfig = z
  .strictObject({
    terminal: z.strictObject({ min_severity: from('low') }).prefault({}),
    log: z.strictObject({ min_severity: from('low') }).prefault({}),
    syslog: z.strictObject({ enabled: z.boolean().default(false), min_severity: from('low') }).prefault({}),
    journald: z.strictObject({ enabled: z.boolean().default(false), min_severity: from('low') }).prefault({}),
    webhook: z.strictObject({ url: z.string().min(1).optional(), min_severity: from('high') }).prefault({}),
  })
  .prefault({})
