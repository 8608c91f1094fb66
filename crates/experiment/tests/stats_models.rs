//! Regression, rank correlation and trend against statsmodels 0.15.0, `SciPy` 1.17.1 and pymannkendall 1.4.3, with
//! `NumPy` 2.4.6. `sm` is `statsmodels.api`, `np` is `numpy`.

use ridgeline_experiment::stats::{aic, aicc, least_squares, mann_kendall, regress, spearman};

/// Longley (1967), `sm.datasets.longley`: the usual ill-conditioned test of least squares.
///
/// Total employment, then GNP deflator, GNP, unemployed, armed forces, population and year.
const LONGLEY: [[f64; 7]; 16] = [
    [60323.0, 83.0, 234_289.0, 2356.0, 1590.0, 107_608.0, 1947.0],
    [61122.0, 88.5, 259_426.0, 2325.0, 1456.0, 108_632.0, 1948.0],
    [60171.0, 88.2, 258_054.0, 3682.0, 1616.0, 109_773.0, 1949.0],
    [61187.0, 89.5, 284_599.0, 3351.0, 1650.0, 110_929.0, 1950.0],
    [63221.0, 96.2, 328_975.0, 2099.0, 3099.0, 112_075.0, 1951.0],
    [63639.0, 98.1, 346_999.0, 1932.0, 3594.0, 113_270.0, 1952.0],
    [64989.0, 99.0, 365_385.0, 1870.0, 3547.0, 115_094.0, 1953.0],
    [63761.0, 100.0, 363_112.0, 3578.0, 3350.0, 116_219.0, 1954.0],
    [66019.0, 101.2, 397_469.0, 2904.0, 3048.0, 117_388.0, 1955.0],
    [67857.0, 104.6, 419_180.0, 2822.0, 2857.0, 118_734.0, 1956.0],
    [68169.0, 108.4, 442_769.0, 2936.0, 2798.0, 120_445.0, 1957.0],
    [66513.0, 110.8, 444_546.0, 4681.0, 2637.0, 121_950.0, 1958.0],
    [68655.0, 112.6, 482_704.0, 3813.0, 2552.0, 123_366.0, 1959.0],
    [69564.0, 114.2, 502_601.0, 3931.0, 2514.0, 125_368.0, 1960.0],
    [69331.0, 115.7, 518_173.0, 4806.0, 2572.0, 127_852.0, 1961.0],
    [70551.0, 116.9, 554_894.0, 4007.0, 2827.0, 130_081.0, 1962.0],
];

const X: [f64; 6] = [1.0, 2.0, 3.0, 5.0, 8.0, 13.0];
const Y: [f64; 6] = [2.1, 3.9, 6.2, 9.8, 16.4, 25.7];

#[track_caller]
fn near(got: f64, want: f64, relative: f64) {
    assert!((got - want).abs() <= relative * want.abs(), "got {got}, want {want}");
}

#[track_caller]
fn all_near(got: &[f64], want: &[f64], relative: f64) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        near(*g, *w, relative);
    }
}

fn column(index: usize) -> Vec<f64> {
    LONGLEY.iter().map(|row| row[index]).collect()
}

#[test]
fn regression_matches_statsmodels_on_longley() {
    let columns: Vec<Vec<f64>> = std::iter::once(vec![1.0; 16]).chain((1..7).map(column)).collect();
    // f = sm.OLS(L.endog, sm.add_constant(L.exog)).fit() for L = sm.datasets.longley.load_pandas()
    let fit = regress(&columns, &column(0)).expect("sixteen points");
    let params = [
        -3_482_258.634_597_942_2,
        15.061_872_271_549_873,
        -0.035_819_179_292_671_2,
        -2.020_229_803_817_525,
        -1.033_226_867_173_714,
        -0.051_104_105_653_649_87,
        1_829.151_464_614_646,
    ];
    all_near(&fit.coefficients, &params, 1e-8);
    let bse = [
        890_420.383_607_935_4,
        84.914_925_774_817_73,
        0.033_491_007_772_265_075,
        0.488_399_681_651_955_5,
        0.214_274_163_161_792_18,
        0.226_073_200_069_482_78,
        455.478_499_142_503_1,
    ];
    all_near(&fit.standard_errors, &bse, 1e-8);
    near(fit.r2, 0.995_479_004_577_289_6, 1e-12);
    near(fit.rss, 836_424.055_507_025_7, 1e-9);
    // f.conf_int()
    let intervals = fit.intervals().expect("nine degrees of freedom");
    all_near(&[intervals[1].lo, intervals[1].hi], &[-177.029_035_298_431_98, 207.152_779_841_531_72], 1e-8);
    all_near(&[intervals[6].lo, intervals[6].hi], &[798.787_515_278_856_7, 2_859.515_413_950_435_7], 1e-8);
    // f.aic - 16 * (np.log(2*np.pi) + 1) + 2, as statsmodels does not count the residual variance
    near(aic(fit.rss, 16, 7).expect("residuals"), 189.828_836_554_432_88, 1e-12);
    // statsmodels.tools.eval_measures.aicc(f.llf, 16, 8) - 16 * (np.log(2*np.pi) + 1)
    near(fit.aicc().expect("enough points"), 210.400_265_125_861_44, 1e-12);
}

#[test]
fn regression_without_intercept_matches_statsmodels() {
    // g = sm.OLS(Y, np.c_[X, X**2]).fit()
    let fit = regress(&[X.to_vec(), X.map(|v| v * v).to_vec()], &Y).expect("six points");
    all_near(&fit.coefficients, &[2.049_884_861_002_303, -0.005_145_882_297_082_349], 1e-11);
    all_near(&fit.standard_errors, &[0.051_010_545_147_167_41, 0.004_604_699_044_419_503], 1e-11);
    near(fit.r2, 0.999_757_565_779_607_6, 1e-12);
    near(fit.rss, 0.262_689_599_506_206_3, 1e-11);
    let intervals = fit.intervals().expect("four degrees of freedom");
    all_near(&[intervals[0].lo, intervals[0].hi], &[1.908_256_882_614_978_8, 2.191_512_839_389_626_6], 1e-9);
}

#[test]
fn a_line_is_a_regression_on_ones_and_x() {
    let line = least_squares(&X, &Y).expect("six points");
    let fit = regress(&[vec![1.0; 6], X.to_vec()], &Y).expect("six points");
    all_near(&fit.coefficients, &[line.intercept, line.slope], 1e-11);
    all_near(&fit.standard_errors, &[line.se_intercept, line.se_slope], 1e-11);
    near(fit.r2, line.r2, 1e-12);
}

#[test]
fn singular_models_have_no_fit() {
    let ones = vec![1.0; 6];
    let sum: Vec<f64> = X.iter().map(|v| 2.0 * v - 3.0).collect();
    assert_eq!(regress(&[ones.clone(), X.to_vec(), sum], &Y), None, "a column depends on others");
    assert_eq!(regress(&[X.to_vec(), vec![0.0; 6]], &Y), None);
    assert_eq!(regress(&[], &Y), None);
    assert_eq!(regress(&[vec![1.0; 5]], &Y), None, "lengths differ");
    assert_eq!(regress(&[vec![1.0, 1.0], vec![1.0, 2.0]], &[1.0, 2.0]), None, "no degree of freedom");
    assert_eq!(regress(&[vec![f64::NAN; 6]], &Y), None);
    assert_eq!((aic(0.0, 6, 1), aic(1.0, 0, 1)), (None, None));
    assert_eq!((aicc(1.0, 4, 2), aicc(1.0, 5, 2).is_some()), (None, true));
    let exact = regress(&[ones], &[3.0; 6]).expect("six points");
    near(exact.coefficients[0], 3.0, 1e-12);
    near(exact.r2, 1.0, 1e-12);
}

#[test]
fn trend_matches_pymannkendall() {
    // r = pymannkendall.original_test(values): r.s, r.p; scipy.stats.kendalltau(range(n), values).statistic
    let rising = [1.00, 1.02, 1.01, 1.05, 1.04, 1.07, 1.06, 1.10, 1.09, 1.12];
    let mut falling = rising[..8].to_vec();
    falling.reverse();
    let tied = vec![3.0, 2.0, 3.0, 1.0, 2.0, 5.0, 4.0, 4.0, 5.0, 6.0, 4.0, 7.0];
    let cases = [
        (rising.to_vec(), 37.0, 0.001_282_183_741_805_331_7, 0.822_222_222_222_222_2),
        (tied, 38.0, 0.009_939_926_404_788_135, 0.603_859_639_855_541_8),
        (falling, -22.0, 0.009_374_768_459_434_968, -0.785_714_285_714_285_6),
    ];
    for (values, s, p, tau) in cases {
        let got = mann_kendall(&values).expect("eight values or more");
        assert_eq!(got.s, s);
        near(got.p, p, 1e-9);
        near(got.tau, tau, 1e-12);
    }
    let flat = mann_kendall(&[1.0; 9]).expect("nine values");
    assert_eq!((flat.tau, flat.s, flat.p), (0.0, 0.0, 1.0), "nothing but ties shows no trend");
    assert_eq!(mann_kendall(&rising[..7]), None);
    assert_eq!(mann_kendall(&[f64::NAN; 9]), None);
}

#[test]
fn rank_correlation_matches_scipy() {
    // scipy.stats.spearmanr(p, q)
    let p = [1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 4.0, 5.0, 6.0, 7.0];
    let q = [2.0, 1.0, 3.0, 3.0, 5.0, 4.0, 6.0, 5.0, 9.0, 8.0];
    for (other, sign) in [(q, 1.0), (q.map(|v| -v * v), -1.0)] {
        let (rho, p) = spearman(&p, &other).expect("ten pairs");
        near(rho, sign * 0.913_352_089_764_566_6, 1e-12);
        near(p, 0.000_221_882_278_210_483_93, 1e-9);
    }
    assert_eq!(spearman(&p, &p), Some((1.0, 0.0)));
    assert_eq!(spearman(&p, &q[..9]), None);
    assert_eq!(spearman(&p[..2], &q[..2]), None);
    assert_eq!(spearman(&p, &[1.0; 10]), None, "a constant has no order");
    assert_eq!(spearman(&p[..3], &[1.0, f64::NAN, 2.0]), None);
}
