import { describeLife } from './life.ts'

describeLife('bookworm')
