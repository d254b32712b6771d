/* base.h: the language of the house. Everything includes this one header.
 * err.h  err_t, errors.def, TRY, ENSURE, CHECK, AUTO, TAKE, diag_t, checked arithmetic
 * str.h  str_t, buf_t      mem.h  arena_t, heap, secret_t      rdwr.h  rd_t, wr_*
 * Owns: nothing but the secret slab. No I/O, no clock, no threads. */
#ifndef ATTORN_BASE_H
#define ATTORN_BASE_H

#include "pure/base/err.h"
#include "pure/base/mem.h"
#include "pure/base/rdwr.h"
#include "pure/base/str.h"

#endif
