# What kernels cost as samples and width double: measured (points) and by the growth of their flops (lines).
#   bench-kernels scaling.dat; gnuplot -e 'data="scaling.dat"' scaling.gp > scaling.svg
set encoding utf8
set terminal svg size 900, 380 font "DejaVu Sans,11" background "white"
array colour = ["#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#333333"]
array shape = [5, 7, 9, 11, 13, 15]
set multiplot layout 1, 2 margins 0.08, 0.73, 0.14, 0.96 spacing 0.09
set logscale x 2
set logscale y 10
set format x "%g"
set format y "%g"
set border 3
set tics nomirror
set grid ytics
set xlabel "samples N (width 128)"
set ylabel "milliseconds"
set key off
plot for [k = 0:5] data index k using 1:(1000 * $3) with lines linecolor rgb colour[k + 1], \
     for [k = 0:5] data index k using 1:(1000 * $2) with points pointtype shape[k + 1] linecolor rgb colour[k + 1]
set xlabel "width d (N = 256)"
unset ylabel
set key at screen 0.75, screen 0.9 left top Left reverse spacing 1.2
plot for [k = 6:11] data index k using 1:(1000 * $3) with lines linecolor rgb colour[k - 5] notitle, \
     for [k = 6:11] data index k using 1:(1000 * $2) with points pointtype shape[k - 5] linecolor rgb colour[k - 5] \
         title columnheader(1)
unset multiplot
