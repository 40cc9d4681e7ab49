// fim/fim.h - the whole library.
#ifndef FIM_FIM_H
#define FIM_FIM_H

#include "fim/approx.h"
#include "fim/base.h"
#include "fim/fisher.h"
#include "fim/io.h"
#include "fim/linalg.h"
#include "fim/metric.h"
#include "fim/net.h"
#include "fim/op.h"
#include "fim/report.h"
#include "fim/run.h"

#endif
