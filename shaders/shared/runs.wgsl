// Column of x for each vec4 of W in the order of unpacked chunks. A chunk consists of RUNS runs of neighbouring values,
// which begin STEP values apart, and the chunks of one STEP interleave. For RUNS = 2, two chunks a and b, STEP = 2 runs:
//
//   columns of the row:  a0 b0 | a1 b1        order of unpacked chunks:  a0 a1 | b0 b1
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
