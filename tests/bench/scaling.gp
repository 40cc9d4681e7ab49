# What kernels cost as samples and width double: measured (points) and by the growth of their flops (lines).
#   bench-kernels scaling.dat; gnuplot -e 'data="scaling.dat"' scaling.gp > scaling.svg
set encoding utf8
set terminal svg size 900, 480 font "DejaVu Sans,11" background "white"
set multiplot layout 1, 2
set logscale xy 2
set format y "2^{%L}"
set format x "%g"
set ylabel "seconds"
set key below maxrows 3
set grid
set xlabel "samples N (width 128)"
plot for [k = 0:5] data index k using 1:2 with points pointtype k + 4 linecolor k + 1 title columnheader(1), \
     for [k = 0:5] data index k using 1:3 with lines linecolor k + 1 notitle
set xlabel "width d (N = 256)"
plot for [k = 6:11] data index k using 1:2 with points pointtype k - 2 linecolor k - 5 title columnheader(1), \
     for [k = 6:11] data index k using 1:3 with lines linecolor k - 5 notitle
unset multiplot
