// Where the vec4 of parts laid end to end stand in the row. A part consists of RUNS runs, STEP values apart; the parts that
// begin within a step interleave.
const SPAN: u32 = PART / 4u;
const RUN: u32 = SPAN / RUNS;
const APART: u32 = STEP / 4u;

fn column(i: u32) -> u32 {
    //# if RUNS == 1
    return i;
    //# else
    let part = i / SPAN;
    let first = part / (APART / RUN) * (RUNS * APART) + part % (APART / RUN) * RUN;
    return first + i % SPAN / RUN * APART + i % RUN;
    //# endif
}
