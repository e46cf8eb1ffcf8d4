package qupath.lib.objects.hierarchy;

import java.io.Serializable;
import qupath.lib.objects.PathObject;
import qupath.lib.objects.PathRootObject;

public final class PathObjectHierarchy implements Serializable {
    private static final long serialVersionUID = 1L;
    private TMAGrid tmaGrid = null;
    public PathObject rootObject = new PathRootObject();
}

interface TMAGrid extends Serializable {}
