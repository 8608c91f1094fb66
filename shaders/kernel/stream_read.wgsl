// Bandwidth probe: reads every word and writes one sum per workgroup, so that the compiler cannot drop a load.
//# include reduce
//# if TEXTURE
//# with src = "from_words"
//# include "shared/texels.wgsl"
//# endwith
//# endif

fn quad(i: u32) -> vec4f {
    //# if TEXTURE
    return bitcast<vec4f>(textureLoad(from_words, from_words_texel(i)));
    //# else
    return from_words[i];
    //# endif
}

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let quads = params.n / 4u;
    let workgroups_per_round = (quads + WORKGROUP_SIZE * ITEMS - 1u) / (WORKGROUP_SIZE * ITEMS);
    // The folded 2-D grid may have a few surplus workgroups. Every round writes the same sums.
    if group_index(at_group, groups) >= workgroups_per_round * params.rounds {
        return;
    }
    let group = group_index(at_group, groups) % workgroups_per_round;
    let first = group * (WORKGROUP_SIZE * ITEMS) + ids.local;
    var sum = vec4f();
    //# for i in range(ITEMS)
    if first + ${i}u * WORKGROUP_SIZE < quads {
        sum += quad(first + ${i}u * WORKGROUP_SIZE);
    }
    //# endfor
    let total = workgroup_sum(ids, sum.x + sum.y + sum.z + sum.w);
    if ids.local == 0u {
        sums[group] = total;
    }
}
