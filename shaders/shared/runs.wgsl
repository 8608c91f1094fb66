// Where the vec4 of parts laid end to end stand in the row. A part consists of RUNS runs, STEP values apart; the parts that
// begin within a step interleave.
//# set of = src ~ "_" if src is defined else ""
const ${of}SPAN: u32 = ${PART // 4}u;
const ${of}RUN: u32 = ${PART // 4 // RUNS}u;
const ${of}APART: u32 = ${STEP // 4}u;

fn ${of}column(i: u32) -> u32 {
    //# if RUNS == 1
    return i;
    //# else
    let part = i / ${of}SPAN;
    let first = part / (${of}APART / ${of}RUN) * (${RUNS}u * ${of}APART) + part % (${of}APART / ${of}RUN) * ${of}RUN;
    return first + i % ${of}SPAN / ${of}RUN * ${of}APART + i % ${of}RUN;
    //# endif
}
