// Attributes of a record, shared by the writers of every HDF5 format.
#ifndef FIM_IO_RECORD_FILE_H
#define FIM_IO_RECORD_FILE_H

#include "h5.h"

// The numbers and texts of record as attributes of `item`.
fim_status fim_record_put_attributes(const fim_record *record, const fim_h5 *file, const char *item);
// The inverse: adds to record what the attributes of `item` hold. The attributes that the formats themselves
// use (format, version, index) are left out.
fim_status fim_record_get_attributes(const fim_h5 *file, const char *item, fim_record *record);

#endif
