// Where the vec4 of chunks laid end to end stand in the row. A chunk consists of RUNS runs, STEP values apart; the chunks that
// begin within a step interleave.
//# set of = src ~ "_" if src is defined else ""
const ${of}UNPACK_QUADS: u32 = ${UNPACK_LEN // 4}u;
const ${of}RUN: u32 = ${UNPACK_LEN // 4 // RUNS}u;
const ${of}APART: u32 = ${STEP // 4}u;

fn ${of}column(i: u32) -> u32 {
    //# if RUNS == 1
    return i;
    //# else
    let chunk = i / ${of}UNPACK_QUADS;
    let first = chunk / (${of}APART / ${of}RUN) * (${RUNS}u * ${of}APART) + chunk % (${of}APART / ${of}RUN) * ${of}RUN;
    return first + i % ${of}UNPACK_QUADS / ${of}RUN * ${of}APART + i % ${of}RUN;
    //# endif
}
