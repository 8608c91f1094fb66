// `column(i)` is the vec4 of x that matches vec4 `i` of W in the order of unpacking. A chunk has RUNS runs of consecutive
// columns, which begin STEP columns apart. Within RUNS · STEP columns, the runs of several chunks alternate. For two
// chunks a and b, RUNS = 2 and STEP = 2 runs:
//
//   columns of the row:  a0 b0 | a1 b1        order of unpacking:  a0 a1 | b0 b1
//
// In vec4s, UNPACK_QUADS is the length of a chunk, RUN that of a run, and APART is STEP.
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
