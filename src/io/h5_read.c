// HDF5 items of unknown origin: found through hard links only, checked, read.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h5.h"

enum {
    TEXT_LIMIT = 1 << 20,  // bytes of a text attribute
    NAMES_LIMIT = 1 << 16, // items of a group, attributes of an item
};

// ---- Finding ----

// Follows `item` link by link; *found is false at the first one that does not exist.
static fim_status check_links(const fim_h5 *file, const char *item, bool *found) {
    size_t length = strlen(item);
    char *prefix = NULL;
    fim_status status = fim_alloc(length + 1, 1, "a path", &prefix);
    if (status != FIM_OK)
        return status;
    bool there = true;
    for (size_t i = 1; there && i <= length && length > 1; i++) {
        if (item[i] != '/' && item[i] != '\0')
            continue;
        memcpy(prefix, item, i);
        htri_t exists = H5Lexists(file->id, prefix, H5P_DEFAULT);
        H5L_info_t info;
        if (exists < 0 || (exists > 0 && H5Lget_info(file->id, prefix, &info, H5P_DEFAULT) < 0)) {
            status = fim_h5_damaged(file, prefix);
            goto out;
        }
        there = exists > 0;
        if (there && info.type != H5L_TYPE_HARD) {
            status = FIM_FAIL(FIM_ERR_FORMAT, "%s: %s is %s link; only what the file itself holds is read",
                              file->path, prefix,
                              info.type == H5L_TYPE_SOFT       ? "a soft"
                              : info.type == H5L_TYPE_EXTERNAL ? "an external"
                                                               : "a user-defined");
            goto out;
        }
    }
    *found = there;
out:
    free(prefix);
    return status;
}

static fim_status open_object(const fim_h5 *file, const char *item, hid_t *out) {
    bool found = false;
    fim_status status = check_links(file, item, &found);
    if (status != FIM_OK)
        return status;
    if (!found)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: has no %s", file->path, item);
    hid_t id = H5Oopen(file->id, item, H5P_DEFAULT);
    if (id < 0)
        return fim_h5_damaged(file, item);
    *out = id;
    return FIM_OK;
}

fim_status fim_h5_find(const fim_h5 *file, const char *item, fim_h5_kind *out) {
    bool found = false;
    hid_t id = -1;
    fim_status status = check_links(file, item, &found);
    if (status != FIM_OK)
        return status;
    if (!found) {
        *out = FIM_H5_NOTHING;
        return FIM_OK;
    }
    if ((status = open_object(file, item, &id)) != FIM_OK)
        return status;
    H5I_type_t type = H5Iget_type(id);
    H5Oclose(id);
    if (type != H5I_GROUP && type != H5I_DATASET)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s is neither a group nor a data set", file->path, item);
    *out = type == H5I_GROUP ? FIM_H5_GROUP : FIM_H5_SET;
    return FIM_OK;
}

typedef struct listing {
    char **names;
    size_t *index;
    size_t count, capacity;
    bool bad_name, too_many, no_memory;
} listing;

// Called by HDF5 for each link; a non-zero return ends the iteration.
static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    (void)group;
    (void)info;
    listing *list = context;
    size_t length = strlen(name);
    list->bad_name = length == 0 || fim_text_valid(name, length) != length;
    list->too_many = list->count == NAMES_LIMIT;
    if (list->bad_name || list->too_many)
        return 1;
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 16;
        char **names = realloc(list->names, capacity * sizeof *names);
        if (names != NULL)
            list->names = names;
        list->no_memory = names == NULL;
        if (list->no_memory)
            return 1;
        list->capacity = capacity;
    }
    char *copy = strdup(name);
    list->no_memory = copy == NULL;
    if (list->no_memory)
        return 1;
    list->names[list->count++] = copy;
    return 0;
}

void fim_h5_names_free(char **names, size_t count) {
    for (size_t i = 0; names != NULL && i < count; i++)
        free(names[i]);
    free(names);
}

// Insertion sort by the attribute "index": stable, and the names are few or in order already.
static fim_status order_names(const fim_h5 *file, const char *group, char **names, size_t count) {
    size_t *key = NULL;
    char *item = NULL;
    size_t longest = 0;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < count; i++)
        longest = strlen(names[i]) > longest ? strlen(names[i]) : longest;
    FIM_TRY(fim_alloc(count, sizeof *key, "a list", &key));
    FIM_TRY(fim_alloc(strlen(group) + longest + 2, 1, "a path", &item));
    for (size_t i = 0; i < count; i++) {
        sprintf(item, "%s/%s", strcmp(group, "/") == 0 ? "" : group, names[i]);
        bool has = false;
        FIM_TRY(fim_h5_has(file, item, "index", &has));
        key[i] = SIZE_MAX;
        if (has)
            FIM_TRY(fim_h5_count(file, item, "index", 0, &key[i]));
        char *name = names[i];
        size_t k = key[i], j = i;
        for (; j > 0 && key[j - 1] > k; j--) {
            key[j] = key[j - 1];
            names[j] = names[j - 1];
        }
        key[j] = k;
        names[j] = name;
    }
out:
    free(item);
    free(key);
    return status;
}

fim_status fim_h5_list(const fim_h5 *file, const char *group, char ***names, size_t *count) {
    listing list = {0};
    hid_t id = -1;
    fim_status status = FIM_OK;
    FIM_TRY(open_object(file, group, &id));
    if (H5Iget_type(id) != H5I_GROUP) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: %s is not a group", file->path, group);
        goto out;
    }
    hsize_t at = 0;
    herr_t result = H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, &at, add_name, &list);
    if (list.no_memory)
        status = FIM_FAIL(FIM_ERR_MEMORY, "%s: cannot allocate the list of %s", file->path, group);
    else if (list.bad_name)
        status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: %s holds a name that is not printable UTF-8", file->path, group);
    else if (list.too_many)
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: %s holds more than %d items", file->path, group, NAMES_LIMIT);
    else if (result < 0)
        status = fim_h5_damaged(file, group);
    if (status != FIM_OK)
        goto out;
    FIM_TRY(order_names(file, group, list.names, list.count));
    *names = list.names;
    *count = list.count;
    list = (listing){0};
out:
    fim_h5_names_free(list.names, list.count);
    if (id >= 0)
        H5Oclose(id);
    return status;
}

// ---- Attributes ----

static fim_status read_text(const fim_h5 *file, const char *item, const char *name, hid_t attribute,
                            hid_t type, char **out) {
    char *text = NULL, *owned = NULL; // `owned` by HDF5
    hid_t memory = -1;
    fim_status status = FIM_OK;
    htri_t variable = H5Tis_variable_str(type);
    size_t size = H5Tget_size(type);
    if (variable < 0 || size == 0 || (variable == 0 && size > TEXT_LIMIT)) {
        status = FIM_FAIL(FIM_ERR_VALUE, "%s: attribute '%s' of %s is no text of sane length", file->path,
                          name, item);
        goto out;
    }
    memory = H5Tcopy(type);
    if (variable > 0) {
        if (H5Aread(attribute, memory, &owned) < 0) {
            status = fim_h5_damaged(file, item);
            goto out;
        }
        size = owned != NULL ? strlen(owned) : 0;
        if (size > TEXT_LIMIT) {
            status = FIM_FAIL(FIM_ERR_VALUE, "%s: attribute '%s' of %s is no text of sane length", file->path,
                              name, item);
            goto out;
        }
        FIM_TRY(fim_alloc(size + 1, 1, "a text", &text));
        memcpy(text, owned != NULL ? owned : "", size);
    } else {
        FIM_TRY(fim_alloc(size + 1, 1, "a text", &text));
        if (H5Aread(attribute, memory, text) < 0) {
            status = fim_h5_damaged(file, item);
            goto out;
        }
        while (H5Tget_strpad(type) == H5T_STR_SPACEPAD && size > 0 && text[size - 1] == ' ')
            text[--size] = '\0';
    }
    if (fim_text_valid(text, strlen(text)) != strlen(text)) {
        status = FIM_FAIL(FIM_ERR_VALUE, "%s: attribute '%s' of %s is not printable UTF-8", file->path, name,
                          item);
        goto out;
    }
    *out = text;
    text = NULL;
out:
    if (owned != NULL)
        H5free_memory(owned);
    if (memory >= 0)
        H5Tclose(memory);
    free(text);
    return status;
}

// One attribute, a text or a number; *out owns its name and text.
static fim_status read_attribute(const fim_h5 *file, const char *item, const char *name, hid_t attribute,
                                 fim_h5_attribute *out) {
    fim_h5_attribute found = {0};
    hid_t type = -1, space = -1;
    fim_status status = FIM_OK;
    if ((type = H5Aget_type(attribute)) < 0 || (space = H5Aget_space(attribute)) < 0) {
        status = fim_h5_damaged(file, item);
        goto out;
    }
    H5T_class_t class = H5Tget_class(type);
    if ((class != H5T_STRING && class != H5T_INTEGER && class != H5T_FLOAT) ||
        H5Sget_simple_extent_npoints(space) != 1) {
        status = FIM_FAIL(FIM_ERR_VALUE, "%s: attribute '%s' of %s is neither one number nor one text",
                          file->path, name, item);
        goto out;
    }
    if (class == H5T_STRING)
        FIM_TRY(read_text(file, item, name, attribute, type, &found.text));
    else if (H5Aread(attribute, H5T_NATIVE_DOUBLE, &found.value) < 0) {
        status = fim_h5_damaged(file, item);
        goto out;
    }
    if ((found.name = strdup(name)) == NULL) {
        status = FIM_FAIL(FIM_ERR_MEMORY, "%s: cannot allocate an attribute's name", file->path);
        goto out;
    }
    *out = found;
    found = (fim_h5_attribute){0};
out:
    free(found.name);
    free(found.text);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

void fim_h5_attributes_free(fim_h5_attribute *attributes, size_t count) {
    for (size_t i = 0; attributes != NULL && i < count; i++) {
        free(attributes[i].name);
        free(attributes[i].text);
    }
    free(attributes);
}

// The order in which the object's attributes were made, when the file kept it.
static H5_index_t attribute_order(hid_t object) {
    hid_t list = H5Iget_type(object) == H5I_GROUP ? H5Gget_create_plist(object) : H5Dget_create_plist(object);
    unsigned flags = 0;
    if (list >= 0) {
        H5Pget_attr_creation_order(list, &flags);
        H5Pclose(list);
    }
    return (flags & H5P_CRT_ORDER_TRACKED) != 0 ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
}

static fim_status read_attribute_at(const fim_h5 *file, const char *item, hid_t object, H5_index_t order,
                                    hsize_t i, fim_h5_attribute *out) {
    char name[256];
    fim_status status = FIM_OK;
    hid_t attribute = H5Aopen_by_idx(object, ".", order, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT);
    ssize_t length = attribute >= 0 ? H5Aget_name(attribute, sizeof name, name) : -1;
    if (length < 0)
        status = fim_h5_damaged(file, item);
    else if ((size_t)length >= sizeof name || fim_text_valid(name, (size_t)length) != (size_t)length)
        status = FIM_FAIL(FIM_ERR_VALUE, "%s: %s has an attribute whose name is not short printable UTF-8",
                          file->path, item);
    else
        status = read_attribute(file, item, name, attribute, out);
    if (attribute >= 0)
        H5Aclose(attribute);
    return status;
}

fim_status fim_h5_attributes(const fim_h5 *file, const char *item, fim_h5_attribute **out, size_t *count) {
    hid_t object = -1;
    fim_h5_attribute *list = NULL;
    size_t n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(open_object(file, item, &object));
    int total = H5Aget_num_attrs(object);
    if (total < 0 || total > NAMES_LIMIT) {
        status = fim_h5_damaged(file, item);
        goto out;
    }
    FIM_TRY(fim_alloc((size_t)total, sizeof *list, "attributes", &list));
    H5_index_t order = attribute_order(object);
    for (hsize_t i = 0; i < (hsize_t)total; i++) {
        status = read_attribute_at(file, item, object, order, i, &list[n]);
        n += status == FIM_OK;
        if (status != FIM_OK && status != FIM_ERR_VALUE)
            goto out;
    }
    status = FIM_OK;
    *out = list;
    *count = n;
    list = NULL;
out:
    fim_h5_attributes_free(list, n);
    if (object >= 0)
        H5Oclose(object);
    return status;
}

fim_status fim_h5_has(const fim_h5 *file, const char *item, const char *attribute, bool *out) {
    hid_t object = -1;
    fim_status status = open_object(file, item, &object);
    if (status != FIM_OK)
        return status;
    htri_t exists = H5Aexists(object, attribute);
    if (exists < 0)
        status = fim_h5_damaged(file, item);
    else
        *out = exists > 0;
    H5Oclose(object);
    return status;
}

static fim_status find_attribute(const fim_h5 *file, const char *item, const char *name,
                                 fim_h5_attribute *out) {
    hid_t object = -1, attribute = -1;
    bool has = false;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_has(file, item, name, &has));
    if (!has) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: %s has no attribute '%s'", file->path, item, name);
        goto out;
    }
    FIM_TRY(open_object(file, item, &object));
    if ((attribute = H5Aopen(object, name, H5P_DEFAULT)) < 0) {
        status = fim_h5_damaged(file, item);
        goto out;
    }
    FIM_TRY(read_attribute(file, item, name, attribute, out));
out:
    if (attribute >= 0)
        H5Aclose(attribute);
    if (object >= 0)
        H5Oclose(object);
    return status;
}

fim_status fim_h5_text(const fim_h5 *file, const char *item, const char *attribute, char **text) {
    fim_h5_attribute found = {0};
    fim_status status = find_attribute(file, item, attribute, &found);
    if (status != FIM_OK)
        return status;
    free(found.name);
    if (found.text == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: attribute '%s' of %s is a number, expected a text", file->path,
                        attribute, item);
    *text = found.text;
    return FIM_OK;
}

fim_status fim_h5_number(const fim_h5 *file, const char *item, const char *attribute, double *out) {
    fim_h5_attribute found = {0};
    fim_status status = find_attribute(file, item, attribute, &found);
    if (status != FIM_OK)
        return status;
    free(found.name);
    if (found.text != NULL) {
        free(found.text);
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: attribute '%s' of %s is a text, expected a number", file->path,
                        attribute, item);
    }
    if (!isfinite(found.value))
        return FIM_FAIL(FIM_ERR_VALUE, "%s: attribute '%s' of %s is not finite", file->path, attribute, item);
    *out = found.value;
    return FIM_OK;
}

fim_status fim_h5_count(const fim_h5 *file, const char *item, const char *attribute, size_t low,
                        size_t *out) {
    double value = 0;
    fim_status status = fim_h5_number(file, item, attribute, &value);
    if (status != FIM_OK)
        return status;
    if (value < (double)low || value > 0x1p53 || value > floor(value))
        return FIM_FAIL(FIM_ERR_VALUE,
                        "%s: attribute '%s' of %s is %g, expected a whole number of at least %zu", file->path,
                        attribute, item, value, low);
    *out = (size_t)value;
    return FIM_OK;
}
