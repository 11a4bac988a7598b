/* What the plug-in has for its host. */
#ifdef __cplusplus
extern "C" {
#endif

/* Makes an app, and a callback that doubles; 8 if all is well. */
int plugin_begin(const char *directory, int (**callback)(int));
/* The app traps; 1 if that is an error. */
int plugin_traps(void);
void plugin_end(void);

#ifdef __cplusplus
}
#endif
