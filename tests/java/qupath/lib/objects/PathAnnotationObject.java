package qupath.lib.objects;

public class PathAnnotationObject extends PathROIObject {
    private static final long serialVersionUID = 1L;
}
