import { z } from 'zod'

/** Section `http`. */
export const HttpConfig = z
  .strictObject({
    socket: z
      .string()
      .default('/run/fullmon/fullmon.sock')
      .describe('Unix socket that tells health, metrics and the API; empty for none'),
    port: z.int().min(0).max(65_535).optional().describe('TCP port for the same; none without it'),
    address: z.string().min(1).default('127.0.0.1').describe('address of that port'),
    token_file: z
      .string()
      .min(1)
      .optional()
      .describe('file (mode 0600) with the bearer token that TCP asks for; needed beyond loopback'),
  })
  .prefault({})
