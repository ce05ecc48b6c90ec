import { describeLife } from './life.ts'

describeLife('trixie')
